"""All settings: CLOUDSEG_* variables, the grammars of their values, and the connections and pools that they name."""
