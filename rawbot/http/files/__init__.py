"""What HTTP has to say of files, without IO: conditions, ranges, media types, codings."""
