# What `cmake --install` puts where, all of it relocatable:
#   include/pyro  bin/pyro  lib/libpyro.{so,a}  libexec/pyro/{pyro-vm,pyro-image,pyro-agent}
#   lib/pkgconfig/pyro.pc  lib/cmake/pyro
include(CMakePackageConfigHelpers)

set(PYRO_SOVERSION 0)
# libpyro.a is one object that holds everything but the C++ run-time library.
set(PYRO_PRIVATE_LIBS "-lstdc++ -lm -lpthread -ldl")
set(PYRO_PRIVATE_LIBS_LIST "stdc++;m;pthread;dl")

install(FILES "${PROJECT_SOURCE_DIR}/capi/pyro.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/pyro")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/pyro" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp")
install(TARGETS pyro_shared LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS pyro_static ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
# CMake's own --strip leaves archives alone, but nine tenths of this one are debugging information.
install(CODE "
  if(CMAKE_INSTALL_DO_STRIP)
    file(GLOB archive \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libpyro.a\")
    execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-debug \${archive} COMMAND_ERROR_IS_FATAL ANY)
  endif()")
install(TARGETS pyro_vm pyro-image pyro-agent RUNTIME DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/pyro")
# bin/pyro finds the library beside it, wherever the tree is.
file(RELATIVE_PATH bin_to_lib "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
set_target_properties(pyro_program PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
install(TARGETS pyro_program RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

file(RELATIVE_PATH PYRO_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" PYRO_PC_PREFIX "${PYRO_PC_PREFIX}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/pyro.pc.in" "${PROJECT_BINARY_DIR}/pyro.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/pyro.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

set(cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/pyro")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/pyro-config.cmake.in" "${PROJECT_BINARY_DIR}/pyro-config.cmake"
  INSTALL_DESTINATION "${cmake_dir}" PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
# Before 1.0 a minor version may change the C++ API.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/pyro-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/pyro-config.cmake" "${PROJECT_BINARY_DIR}/pyro-config-version.cmake"
  DESTINATION "${cmake_dir}")
