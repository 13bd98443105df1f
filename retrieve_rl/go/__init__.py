"""Large-Scale Retrieval for Reinforcement Learning (Humphreys et al., NeurIPS 2022) on 9x9 Go."""
