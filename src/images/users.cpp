#include "images/users.h"

#include "base/text.h"
#include "os/files.h"
#include "store/layout.h"

namespace kist::images {

Result<std::vector<std::string>> containers_using(const store::Store& store,
                                                  const oci::Digest& tree) {
  std::vector<std::string> out;
  const std::string top = os::join(store.home(), store::kContainersFolder);
  const auto ids = os::list_folder(top);
  if (!ids && ids.error().code() == Code::not_found) return out;
  if (!ids) return ids.error();
  for (const std::string& id : *ids) {
    const auto text = os::read_file(fmt::format("{}/{}/roots", top, id), 1u << 20);
    if (!text) continue;
    for (const std::string_view line : lines(*text)) {
      if (trim(line) != tree.string()) continue;
      out.push_back(id);
      break;
    }
  }
  return out;
}

}  // namespace kist::images
