"""The forms' routes. Every one is served with and without a slash."""

from batches.pages.create import choice, messages, operations, photos, thumbnails
from batches.pages.urls import page

urlpatterns = [
    page("new", choice.choose, "new"),
    page("new/messages", messages.new_messages, "new-messages"),
    page("new/messages/preview", messages.messages_preview, "new-messages-preview"),
    page("new/photos", photos.new_photos, "new-photos"),
    page("new/photos/preview", photos.photos_preview, "new-photos-preview"),
    page("new/operations", operations.choose_operation, "new-operations"),
    page("new/operations/(?P<name>[a-z_]{1,40})", operations.new_operation, "new-operation"),
    page("new/operations/(?P<name>[a-z_]{1,40})/preview", operations.operation_preview, "new-operation-preview"),
    page("new/thumbnails/(?P<file_id>[\\w-]{1,64})", thumbnails.upload_thumbnail, "upload-thumbnail"),
]
