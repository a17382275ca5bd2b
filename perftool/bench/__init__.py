"""What touches a device: runs in a child process; the parent's side is `isolate`."""
