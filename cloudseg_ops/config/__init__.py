"""All settings: CLOUDSEG_* variables, their values' grammars, and the connections and pools that they name."""
