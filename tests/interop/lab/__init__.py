"""What the interop cases are played with: the daemon, SIPp, a phone of our own, and voices that send and judge sound."""
