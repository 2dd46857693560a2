//! Length-prefixed framing of any header shape.
