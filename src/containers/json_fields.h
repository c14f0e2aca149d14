// Structs as JSON objects: format/json_fields.h.
#pragma once

#include "format/json_fields.h"

namespace kist::containers {

using format::JsonReader;
using format::JsonWriter;

}  // namespace kist::containers
