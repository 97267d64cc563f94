"""The gin edge: parse, bind, type-check, suggest, explain. The only package that imports gin."""
