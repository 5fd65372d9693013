# Install rules: programs, libraries, plugins, headers, man pages, examples, package files.
