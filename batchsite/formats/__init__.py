"""How dates are written where nothing says otherwise: the admin."""
