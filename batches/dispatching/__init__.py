"""The dispatcher's side of the path: claim, lease, publish, rescue, sweep, settle."""
