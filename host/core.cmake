# The configuration, the loader, errors and the log of libsbx; host/CMakeLists.txt builds them with the rest.
set(SBX_HOST_CORE_SOURCES
  host/config.c host/config_build.c host/config_file.c host/config_resolve.c host/config_secret.c host/config_value.c
  host/error.c host/fault.c host/finding.c host/loader.c host/loader_path.c host/loader_shape.c host/log.c
  host/replay.c host/tape.c)
list(TRANSFORM SBX_HOST_CORE_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/")
