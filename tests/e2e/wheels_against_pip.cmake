# Downloads some gigabyte of wheels with the machine's pip: for `./test --all` and CI.
add_executable(wheel_install_to_folder wheels_against_pip_install.cpp)
target_link_libraries(wheel_install_to_folder PRIVATE kist_python)
add_test(NAME e2e.wheels_against_pip
  COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/wheels_against_pip.py
          --tool $<TARGET_FILE:wheel_install_to_folder> --wheels ${CMAKE_BINARY_DIR}/popular-wheels)
set_tests_properties(e2e.wheels_against_pip PROPERTIES LABELS "e2e;long" SKIP_RETURN_CODE 77 TIMEOUT 7200)
