// Pango, Cairo and fontconfig, loaded when a page is first drawn: no other command pays for them. For
// lib/report itself.
#pragma once
#include <cairo-pdf.h>
#include <fontconfig/fontconfig.h>
#include <pango/pangocairo.h>
#include <pango/pangofc-fontmap.h>

namespace kesu::report {

// Every function that is used, under its own name and type.
// clang-format off
#define KESU_DRAWING(F) \
  F(cairo_pdf_surface_create_for_stream) \
  F(cairo_pdf_surface_set_metadata) \
  F(cairo_create) \
  F(cairo_destroy) \
  F(cairo_surface_finish) \
  F(cairo_surface_destroy) \
  F(cairo_surface_status) \
  F(cairo_status) \
  F(cairo_status_to_string) \
  F(cairo_show_page) \
  F(cairo_move_to) \
  F(cairo_line_to) \
  F(cairo_rectangle) \
  F(cairo_close_path) \
  F(cairo_arc) \
  F(cairo_fill) \
  F(cairo_stroke) \
  F(cairo_set_source_rgb) \
  F(cairo_set_line_width) \
  F(cairo_font_options_create) \
  F(cairo_font_options_destroy) \
  F(cairo_font_options_set_hint_style) \
  F(cairo_font_options_set_hint_metrics) \
  F(cairo_tag_begin) \
  F(cairo_tag_end) \
  F(cairo_pdf_surface_add_outline) \
  F(pango_cairo_font_map_new_for_font_type) \
  F(pango_cairo_font_map_set_resolution) \
  F(pango_cairo_context_set_font_options) \
  F(pango_cairo_show_layout_line) \
  F(pango_font_map_create_context) \
  F(pango_context_set_language) \
  F(pango_context_set_base_dir) \
  F(pango_context_set_round_glyph_positions) \
  F(pango_language_from_string) \
  F(pango_layout_new) \
  F(pango_layout_set_text) \
  F(pango_layout_set_width) \
  F(pango_layout_set_wrap) \
  F(pango_layout_set_font_description) \
  F(pango_layout_set_auto_dir) \
  F(pango_attr_list_new) \
  F(pango_attr_list_insert) \
  F(pango_attr_list_unref) \
  F(pango_attr_family_new) \
  F(pango_attr_font_features_new) \
  F(pango_attr_insert_hyphens_new) \
  F(pango_layout_set_attributes) \
  F(cairo_new_path) \
  F(pango_layout_get_line_count) \
  F(pango_layout_get_line_readonly) \
  F(pango_layout_get_size) \
  F(pango_font_description_new) \
  F(pango_font_description_set_family_static) \
  F(pango_font_description_set_weight) \
  F(pango_font_description_set_absolute_size) \
  F(pango_font_description_free) \
  F(pango_fc_font_map_set_config) \
  F(g_object_ref) \
  F(g_object_unref) \
  F(FcConfigCreate) \
  F(FcConfigParseAndLoadFromMemory) \
  F(FcConfigAppFontAddDir) \
  F(FcConfigGetFonts) \
  F(FcConfigSetCurrent) \
  F(FcConfigDestroy)
// clang-format on

struct Drawing {
#define KESU_MEMBER(name) decltype(&::name) name = nullptr;
  KESU_DRAWING(KESU_MEMBER)
#undef KESU_MEMBER
};

// Throws Error module_absent when the libraries do not load.
const Drawing& drawing();

}  // namespace kesu::report
