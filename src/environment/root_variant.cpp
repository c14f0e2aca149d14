#include "environment/root_variant.h"

#include "os/kernel.h"
#include "store/erofs_writer.h"

namespace kist::environment {
namespace {

// Makes the file system but mounts it nowhere, so nothing has to be undone.
bool can_mount(const std::string& image) {
  const os::Fd context(os::kernel::fsopen("erofs"));
  if (!context.is_open()) return false;
  return os::kernel::fsconfig_string(context.get(), "source", image.c_str()) == 0 &&
         os::kernel::fsconfig_flag(context.get(), "ro") == 0 &&
         os::kernel::fsconfig_create(context.get()) == 0;
}

Result<bool> can_mount_images(const Context& context) {
  TRY(os::make_folders(context.cache("probe")));
  const os::TempDir folder = TRY(os::TempDir::make(context.cache("probe")));
  const std::string image = os::join(folder.path(), "image");
  const store::Tree nothing = TRY(store::Tree::make({}));
  {
    const os::Fd file = TRY(os::open_file(image, O_RDWR | O_CREAT | O_EXCL));
    TRY(store::write_erofs(nothing, nothing.digest(), file));
  }
  return can_mount(image);
}

}  // namespace

store::Variant variant_of(const Context& context) {
  if (context.host.uid != 0) return store::Variant::links;
  const auto works = can_mount_images(context);
  return works && !*works ? store::Variant::links : store::Variant::erofs;
}

runtime::RootSource root_source(const store::Root& root) {
  if (root.erofs_image.empty()) return {.lowers = root.lowers};
  return {.erofs_image = root.erofs_image, .objects = root.objects};
}

Result<store::Root> root_of(const Context& context, const oci::Digest& tree, store::Transaction& tx) {
  const store::Variant variant = variant_of(context);
  if (auto root = store::find_root(context.store, tree, variant)) return std::move(*root);
  const store::Tree content = TRY(context.store.tree(tree));
  return store::make_root(context.store, tx, content, tree, variant);
}

}  // namespace kist::environment
