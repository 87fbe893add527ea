"""Live progress: one Redis subscriber per web process, fanned out to the sockets of each owner."""
