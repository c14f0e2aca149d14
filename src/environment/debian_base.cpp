#include "environment/debian_base.h"
