"""Code that ends its process as soon as it reaches for the network."""

# By the audit events of Python. Libraries may bind a port as a probe.
REFUSE_NETWORK = """
import os, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"):
        os.write(2, f"{event} {arguments}".encode())
        os._exit(1)
sys.addaudithook(refuse)
"""
