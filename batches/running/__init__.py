"""The worker's side of the path: accept a lease, make its calls, record what came of them."""
