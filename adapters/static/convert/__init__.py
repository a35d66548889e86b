"""Other programs' files as services, once, for `registry-bridge convert`: pure functions of text, one a format."""
