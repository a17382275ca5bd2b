"""A choice as the files that deploy it, format by format. Pure: no file is touched, no runtime asked."""
