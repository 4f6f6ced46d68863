//! Pure parts of the client: error texts, numbers, names and request lines.
