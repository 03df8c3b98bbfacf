"""An NVFlare job: a Mixture-of-Experts learns handwritten digits that are spread over sites."""
