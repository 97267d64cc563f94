"""One file per stage: its declaration (a `StageSpec`), its result, and `build`. `recipe/table.py` lists them."""
