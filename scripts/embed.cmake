# cmake -DIN=file -DOUT=file.cpp -DSYMBOL=name -P embed.cmake: the bytes of IN as a string_view in namespace kesu.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," list "${hex}")
file(WRITE ${OUT} "#include <string_view>\nnamespace kesu {\nstatic const unsigned char bytes[] = {${list}0};\nextern const std::string_view ${SYMBOL};\nconst std::string_view ${SYMBOL}{reinterpret_cast<const char*>(bytes), sizeof(bytes) - 1};\n}\n")
