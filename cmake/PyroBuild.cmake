# What every target of the project shares: language level, warnings, sanitizers, include folders,
# third-party headers, and the helpers that declare rooms and programs.

find_package(Threads REQUIRED)
find_package(fmt 9 REQUIRED)

# Boost is used header-only (Asio, JSON): Debian's static archives are not position-independent.
find_path(PYRO_BOOST_INCLUDE boost/json/src.hpp)
if(NOT PYRO_BOOST_INCLUDE)
  message(FATAL_ERROR "Boost 1.81 or newer is missing: install libboost1.81-dev and libboost-json1.81-dev")
endif()

# <pyro/pyro.h> inside the tree is capi/pyro.h.
set(PYRO_GENERATED_INCLUDE "${CMAKE_CURRENT_BINARY_DIR}/include")
file(MAKE_DIRECTORY "${PYRO_GENERATED_INCLUDE}/pyro")
file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}/capi/pyro.h" "${PYRO_GENERATED_INCLUDE}/pyro/pyro.h" SYMBOLIC)

# Language level and warnings: for every target, the guest agent included.
add_library(pyro_options INTERFACE)
target_compile_features(pyro_options INTERFACE cxx_std_20 c_std_99)
target_compile_options(pyro_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wcast-qual -Wformat=2
  # GCC 12 sees overlapping copies inside std::string that are not there (GCC bug 105329).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  -fvisibility=hidden -fno-strict-aliasing -fstack-protector-strong
  $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>
  # Unique symbols can neither be made local in libpyro.a nor unloaded with libpyro.so.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>
  $<$<BOOL:${PYRO_WERROR}>:-Werror>)
target_compile_definitions(pyro_options INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_include_directories(pyro_options INTERFACE
  "${CMAKE_CURRENT_SOURCE_DIR}/src" "${CMAKE_CURRENT_SOURCE_DIR}/include" "${PYRO_GENERATED_INCLUDE}")
# Other people's headers do not get our warnings.
target_include_directories(pyro_options SYSTEM INTERFACE "${PYRO_BOOST_INCLUDE}"
  $<TARGET_PROPERTY:fmt::fmt-header-only,INTERFACE_INCLUDE_DIRECTORIES>)

# fmt, compiled once (src/base/fmt_library.cpp); for every target, so never with sanitizers.
add_library(pyro_fmt STATIC "${CMAKE_CURRENT_SOURCE_DIR}/src/base/fmt_library.cpp")
target_compile_features(pyro_fmt PRIVATE cxx_std_20)
target_compile_options(pyro_fmt PRIVATE -fvisibility=hidden -fvisibility-inlines-hidden -ffunction-sections -fdata-sections
  $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
target_include_directories(pyro_fmt SYSTEM PRIVATE $<TARGET_PROPERTY:fmt::fmt-header-only,INTERFACE_INCLUDE_DIRECTORIES>)
set_target_properties(pyro_fmt PROPERTIES POSITION_INDEPENDENT_CODE ON)
if(fmt_VERSION VERSION_GREATER_EQUAL 10)
  target_compile_definitions(pyro_fmt PUBLIC FMT_HEADER_ONLY=1)
endif()
target_link_libraries(pyro_options INTERFACE pyro_fmt)

add_library(pyro_sanitize INTERFACE)
if(PYRO_SANITIZE)
  target_compile_options(pyro_sanitize INTERFACE -fsanitize=${PYRO_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(PYRO_SANITIZE MATCHES "thread")
    # Asio's fences, which ThreadSanitizer does not see; what they order is ordered by locks as well.
    target_compile_options(pyro_sanitize INTERFACE -Wno-tsan)
  endif()
  target_link_options(pyro_sanitize INTERFACE -fsanitize=${PYRO_SANITIZE})
endif()
if(PYRO_FUZZ)
  # What the fuzzer is to see into.
  target_compile_options(pyro_sanitize INTERFACE -fsanitize=fuzzer-no-link)
endif()

# pyro_room(<room> SOURCES <file>... [ROOMS <room>...] [LIBRARIES <target>...])
# A room is a static library pyro_<room> whose only links are the rooms it may include.
function(pyro_room room)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;ROOMS;LIBRARIES")
  add_library(pyro_${room} STATIC ${arg_SOURCES})
  set_target_properties(pyro_${room} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(pyro_${room} PUBLIC pyro_options pyro_sanitize)
  foreach(used IN LISTS arg_ROOMS)
    target_link_libraries(pyro_${room} PUBLIC pyro_${used})
  endforeach()
  if(arg_LIBRARIES)
    target_link_libraries(pyro_${room} PRIVATE ${arg_LIBRARIES})
  endif()
endfunction()
