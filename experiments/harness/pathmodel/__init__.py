"""Path model: packet-level simulation of TCP, which computes the delays that a closed-form formula leaves out.

Purpose. A closed form such as (n+1) RTT + X counts round trips and the transmission time of the responses. On the wire
there are further delays: acknowledgements share a link with requests, the congestion window opens by slow start, and
each hop stores a frame before it forwards it. The path model computes these delays, so that a comparison of measured
and predicted time has a named term for each.

Principle. No parameter of the model is fitted to measured times. The inputs are the topology (rates and delays), the
sizes that applications write, and the causal order of their actions; the outputs are times. A capture is used for sizes
and order only (actions, replay): the model performs each write, close or datagram of the capture once the arrival that
triggered it has happened in the model. A server that waits without cause is therefore slower than its model.

Modules, lowest layer first:

    events              discrete-event clock; an application is a generator that yields conditions
    links               one direction of a link: transmitter with an unbounded queue, then propagation
    network             the links of a topology, and the route between two hosts
    tcp                 one connection as Linux runs it without loss: segmentation, congestion window, HyStart,
                        delayed and quick acknowledgements
    dialogue            alternating messages over one connection, for protocols of commands and replies
    interactive_system  N clients that request, think and repeat
    actions             actions of applications in a capture, with the arrival that triggered each
    replay              the capture's actions run in the model

Decomposition. The model runs the same actions four times, each time with one more mechanism switched off (tcp.Options):

    run 1    all mechanisms
    run 2    the congestion window is unlimited
    run 3    also, acknowledgements take no time on a link
    run 4    also, no frame has a transmission time: only propagation delays, the round trips of the closed form, remain

The time of run 1 is the sum of four terms: window (run 1 minus run 2), acknowledgements (run 2 minus run 3), sending
(run 3 minus run 4), and the time of run 4.
"""
