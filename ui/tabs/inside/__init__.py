"""The tab *Look inside*: `tab` is its frame, `views` the table of what can be looked at, `tour` the way through."""
