"""Path model: packet-level simulation of TCP over links with rate and delay, for delays that closed forms omit.

Purpose. A closed form such as (n+1) RTT + X counts round trips and the transmission time of the responses. On the wire
there are also acknowledgements that share a link with requests, a congestion window that opens by slow start, and
frames that each hop stores before it forwards them. The path model computes the time of these effects, so that a
comparison has a named term for each.

Principle. No parameter of the model is fitted to measured times. The inputs are the topology (rates and delays), the
sizes that applications write, and the causal order of their actions; the outputs are times. A capture is used for sizes
and order only (actions, replay): each write, close or datagram is performed by the model when the arrival that
triggered it in the capture has happened in the model. A server that waits without cause is therefore slower than its
model.

Layers, lowest first:

    events              discrete-event clock; an application is a generator that yields conditions
    links               one direction of a link: transmitter with an unbounded queue, then propagation
    network             the links of a topology, and the route between two hosts
    tcp                 one connection as Linux runs it without loss: segmentation, congestion window, HyStart,
                        delayed and quick acknowledgements
    dialogue            messages in turns over one connection, for protocols of commands and replies
    interactive_system  N clients that request, think and repeat
    actions             actions of applications in a capture, with the arrival that triggered each
    replay              the capture's actions run in the model

Decomposition. The model runs the same actions several times, each time with one more mechanism switched off
(tcp.Options): none; the congestion window (unlimited); the time that acknowledgements occupy links; transmission times.
The differences of consecutive runs are the terms (summands) window, acknowledgements and sending; the last run consists
of the round trips of the closed form. The terms therefore sum to the model's total by construction.
"""
