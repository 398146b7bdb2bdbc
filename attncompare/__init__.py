"""Compare attention mechanisms fairly."""
