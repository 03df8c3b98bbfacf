"""A Flower app: a federated Mixture-of-Experts whose clients keep their fitness."""
