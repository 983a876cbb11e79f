"""Store of the web cache: stored responses (RFC 9111 section 3) in memory and on disk, with limits and LRU eviction.

The store does not evaluate freshness: lab7.services.http.cache decides which responses are stored and which are reused.
A lookup uses store.py and index.py; storing content uses store.py and, with a disk, folder.py and format.py.
"""
