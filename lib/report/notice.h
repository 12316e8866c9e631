// A notice of disablement, a superseding record or a failure report for people. Never evidence.
#pragma once
#include "report/report.h"

namespace kesu {

// From notice.json alone, whose type says which of the three it is. Throws bad_input for another.
Bytes notice_html(ByteView notice, const ReportLanguages& languages);

}  // namespace kesu
