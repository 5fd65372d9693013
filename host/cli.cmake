# sbxctl: its sources see sbx.h, base/ and their own headers.
set(SBX_CLI_SOURCES
  cmd_action.c cmd_columns.c cmd_completion.c cmd_config.c cmd_cp.c cmd_create.c cmd_doctor.c cmd_doctor_checks.c cmd_exec.c
  cmd_files.c cmd_files_text.c cmd_gc.c
  cmd_help.c cmd_inspect.c cmd_job.c cmd_life.c cmd_logs.c cmd_ls.c cmd_make.c cmd_open.c cmd_parse.c cmd_process.c cmd_progress.c cmd_providers.c cmd_report.c cmd_rm.c cmd_routes.c cmd_run.c cmd_shell.c cmd_signal.c
  cmd_snapshot.c cmd_ssh.c cmd_table.c cmd_tty.c cmd_tunnel.c cmd_value.c cmd_version.c cmd_wait.c json.c main.c)
list(TRANSFORM SBX_CLI_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/host/")
find_library(SBX_CJSON_LIBRARY cjson REQUIRED)

# Linked with the static library: one file, and no time lost in finding symbols.
if(TARGET sbx_static)
  add_executable(sbxctl ${SBX_CLI_SOURCES})
  target_link_libraries(sbxctl PRIVATE sbx_options sbx_base sbx_static ${SBX_CJSON_LIBRARY})
endif()
