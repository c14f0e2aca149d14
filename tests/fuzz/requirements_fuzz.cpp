// requirements.txt files (two that may include each other), single requirements, markers.
#include "fuzz.h"
#include "python/inputs_files.h"
#include "python/markers.h"
#include "python/requirements.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  return {
      "requests[socks]>=2,<3; python_version < '3.12'  # comment\nnumpy==2.1.0 \\\n"
      "  --hash=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
      "-r other.txt\n-c other.txt\n--index-url https://h/simple\n--extra-index-url=https://e\n"
      "--find-links ./wheels\n--no-binary :all:\n--pre\n-e .[dev]\n",
      "x @ https://h/x-1.0-py3-none-any.whl\ny @ git+https://h/y.git@v1#subdirectory=z\n./local[a]\n"
      "${HOME}/w.whl\n",
      "python_version >= '3.8' and (sys_platform == 'linux' or extra == \"a\") and 'x' not in extras",
  };
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view text = fuzz::text_of(data, size);
  const size_t zero = std::min(text.find('\0'), size);
  const python::MemoryFiles files({{"requirements.txt", std::string(text.substr(0, zero))},
                                   {"other.txt", std::string(text.substr(std::min(zero + 1, size)))}});
  static_cast<void>(python::read_requirements("requirements.txt", files, {{"HOME", "/h"}}));
  static_cast<void>(python::parse_requirement(text));
  if (const auto marker = python::Marker::parse(text)) {
    static_cast<void>(marker->evaluate({}));
    static_cast<void>(marker->mentions("extra"));
  }
  return 0;
}
