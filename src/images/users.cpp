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

Result<bool> is_base_of_project(const store::Store& store, const oci::Digest& tree) {
  const std::string top = os::join(store.home(), "projects");
  const auto projects = os::list_folder(top);
  if (!projects && projects.error().code() == Code::not_found) return false;
  if (!projects) return projects.error();
  for (const std::string& project : *projects) {
    const auto files = os::list_folder(os::join(top, project));
    if (!files) continue;
    for (const std::string& file : *files) {
      if (!file.ends_with(".roots")) continue;
      const auto text = os::read_file(fmt::format("{}/{}/{}", top, project, file), 1u << 20);
      if (!text) continue;
      for (const std::string_view line : lines(*text))
        if (trim(line) == tree.string()) return true;
    }
  }
  return false;
}

}  // namespace kist::images
