"""A Flower app: a Mixture-of-Experts learns handwritten digits that are spread over clients."""
