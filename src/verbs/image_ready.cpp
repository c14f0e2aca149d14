// What `kist run --image` needs when an image is not ready: its root was removed by gc, or an older
// kist wrote its ready files.
#include "environment/root_variant.h"
#include "base/text.h"
#include "launch/image.h"
#include "verbs/image_verbs.h"

namespace kist::verbs {

Result<int> make_image_ready(const std::string& name, const environment::Context& context) {
  const images::ImageStore store(context.store);
  const images::Image image = TRY(store.find(name));
  TRY(store.make_ready(image, {}, environment::variant_of(context)));
  const auto ready = launch::find_image(context.host.kist_home, name);
  if (!ready || !launch::hold_lease(*ready).is_open())
    return Error(Code::unavailable, "the image '{}' cannot be made ready", printable(name)).hint("`kist fsck`");
  return kStartAgain;
}

}  // namespace kist::verbs
