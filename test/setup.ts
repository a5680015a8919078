/** Loaded by mocha before any test: files and sockets made by tests are private, as the daemon's are. */
process.umask(0o077);
