"""Network experiments on HTTP, DNS, mail and FTP, their harness, and tools for the evaluation of runs and captures.

    http/ dns/ mail/ ftp/ cache/ cdn/     experiments, one package per subject
    assignments/                          packet-capture assignments for students
    harness/                              run of experiments: capture, verdicts, theory, results, command `lab7`
    sweep/                                runs over many parameter values
    analysis/ ladder/ waterfall/          message rules of the RFCs, and diagrams, for captures of any program
    diff/ network/ view/                  comparison of runs, traffic of a run, live view of a network
    export/ wireshark/ validation/        results in other formats, JSON Schemas
    library/ pytest_plugin.py testing/    use from Python programs, notebooks and tests

An experiment poses a question, runs a workload on an emulated network, and compares the measurements with theory.
"""
