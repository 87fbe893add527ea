"""Lines of the log: as text or as JSON, each with what it is about, and without what belongs to users.

No line holds the text of a message, a phone number, a key or a query string. Whoever logs names the kind of an error,
never its message, which may quote what was wrong; for lines and tracebacks of libraries the formatters see to it.
"""
