"""The retrieval core: keys, neighbors and indexes. It knows neither papers nor agents."""
