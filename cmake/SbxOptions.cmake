# sbx_options: what every C target of the project is compiled and linked with.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

add_library(sbx_options INTERFACE)
target_include_directories(sbx_options INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include")
# Where an installation keeps things: the compiled-in plugin folder, and the guest as seen from a plugin's own folder
# (in the build tree it is ../../bin/sbx-guest instead), so that an installed tree may be moved as a whole.
set(SBX_INSTALL_PLUGINDIR "${CMAKE_INSTALL_LIBDIR}/sbx")
set(SBX_INSTALL_GUESTDIR "${CMAKE_INSTALL_LIBEXECDIR}/sbx")
file(RELATIVE_PATH SBX_GUEST_FROM_PLUGINDIR
  "/prefix/${SBX_INSTALL_PLUGINDIR}" "/prefix/${SBX_INSTALL_GUESTDIR}/sbx-guest")
target_compile_definitions(sbx_options INTERFACE _GNU_SOURCE SBX_VERSION="${PROJECT_VERSION}"
  SBX_PLUGIN_DIR="${CMAKE_INSTALL_PREFIX}/${SBX_INSTALL_PLUGINDIR}"
  SBX_GUEST_FROM_PLUGINDIR="${SBX_GUEST_FROM_PLUGINDIR}")
target_compile_options(sbx_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla $<$<BOOL:${SBX_WERROR}>:-Werror>
  -fstack-protector-strong -fno-strict-aliasing)
target_link_options(sbx_options INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)

if(SBX_SANITIZE STREQUAL "address")
  target_compile_options(sbx_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(sbx_options INTERFACE -fsanitize=address,undefined)
elseif(SBX_SANITIZE STREQUAL "thread")
  # A target may opt out by its property SBX_NO_TSAN: a program of one thread that relies on vfork, which the thread
  # sanitizer turns into fork.
  set(tsan "$<$<NOT:$<BOOL:$<TARGET_PROPERTY:SBX_NO_TSAN>>>:-fsanitize=thread>")
  target_compile_options(sbx_options INTERFACE ${tsan} -fno-omit-frame-pointer)
  target_link_options(sbx_options INTERFACE ${tsan})
elseif(SBX_SANITIZE)
  message(FATAL_ERROR "SBX_SANITIZE is '${SBX_SANITIZE}'; it takes nothing, address or thread")
else()
  # Undefined first: some distributions' compilers define it themselves. It needs optimisation to mean anything.
  target_compile_options(sbx_options INTERFACE $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>)
endif()
if(SBX_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "SBX_FUZZ needs clang; configure with -DCMAKE_C_COMPILER=clang")
  endif()
  target_compile_options(sbx_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SBX_COVERAGE)
  target_compile_options(sbx_options INTERFACE --coverage)
  target_link_options(sbx_options INTERFACE --coverage)
endif()
