"""Import package of lab7: the services, topologies and experiments, of which a checkout has symbolic links here.

In the sources the three packages are folders of the top level (services, topologies, experiments). They are imported as
lab7.services, lab7.topologies and lab7.experiments, in a checkout as in an installation, so that an installation adds
one name to the top level, and a project with packages of these names of its own can use lab7.
"""
