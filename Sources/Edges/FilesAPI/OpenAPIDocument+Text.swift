// Made by scripts/openapi.py from docs/openapi.yaml.
// swift-format-ignore-file

extension OpenAPIDocument {
  /// The document as docs/openapi.yaml has it.
  static let text: StaticString = ##"""
openapi: 3.1.0
info:
  title: s3storage Files API
  version: "1"
  description: |
    Files by id, over the same storage engine as the S3 API. A file is encrypted, erasure coded
    into six chunks (4 data, 2 parity) and durable when the upload is answered.

    Authenticate with an access key and its secret: `Authorization: Bearer <access key>:<secret>`
    or HTTP Basic with the same pair. Users see their own files; administrators see all.
servers:
  - url: http://localhost:8080
security:
  - bearerKey: []
  - basicKey: []
tags:
  - name: files
  - name: service
paths:
  /files:
    post:
      tags: [files]
      operationId: uploadFile
      summary: Upload a file
      description: |
        One part named `file` with a file name; its media type is kept. The body is streamed, so
        its size is not limited by memory. Other form fields are ignored.
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema:
              type: object
              required: [file]
              properties:
                file:
                  type: string
                  format: binary
                  description: At most 10 GiB; the file name has 1 to 255 bytes.
      responses:
        "201":
          description: The file is durable.
          headers:
            Location:
              schema: { type: string }
              description: The path of the file.
          content:
            application/json:
              schema: { $ref: "#/components/schemas/File" }
        "400": { $ref: "#/components/responses/BadRequest" }
        "401": { $ref: "#/components/responses/Unauthorized" }
        "413": { $ref: "#/components/responses/TooLarge" }
        "503": { $ref: "#/components/responses/Unavailable" }
    get:
      tags: [files]
      operationId: listFiles
      summary: List your files, newest first
      parameters:
        - name: page
          in: query
          schema: { type: integer, minimum: 1, default: 1 }
        - name: per_page
          in: query
          schema: { type: integer, minimum: 1, maximum: 1000, default: 50 }
        - name: status
          in: query
          schema: { $ref: "#/components/schemas/Status" }
      responses:
        "200":
          description: One page.
          content:
            application/json:
              schema: { $ref: "#/components/schemas/FileList" }
        "400": { $ref: "#/components/responses/BadRequest" }
        "401": { $ref: "#/components/responses/Unauthorized" }
        "503": { $ref: "#/components/responses/Unavailable" }
  /files/{id}:
    parameters:
      - $ref: "#/components/parameters/FileID"
    get:
      tags: [files]
      operationId: downloadFile
      summary: Download a file
      description: HEAD answers the same head without the content.
      parameters:
        - name: Range
          in: header
          schema: { type: string }
          description: One range of bytes, such as `bytes=0-1023`.
        - name: If-None-Match
          in: header
          schema: { type: string }
        - name: If-Modified-Since
          in: header
          schema: { type: string }
      responses:
        "200":
          description: The content.
          headers:
            Content-Disposition: { schema: { type: string } }
            ETag: { schema: { type: string }, description: The SHA-256 of the content in quotes. }
            Last-Modified: { schema: { type: string } }
            Accept-Ranges: { schema: { type: string, const: bytes } }
          content:
            application/octet-stream: {}
        "206":
          description: The range of the content.
          headers:
            Content-Range: { schema: { type: string } }
          content:
            application/octet-stream: {}
        "304": { description: The client has the content already. }
        "400": { $ref: "#/components/responses/BadRequest" }
        "401": { $ref: "#/components/responses/Unauthorized" }
        "404": { $ref: "#/components/responses/NotFound" }
        "409": { $ref: "#/components/responses/Incomplete" }
        "412": { description: A condition does not hold. }
        "416": { description: The file has none of the bytes of the range. }
        "503": { $ref: "#/components/responses/Unavailable" }
    delete:
      tags: [files]
      operationId: deleteFile
      summary: Delete a file
      responses:
        "204": { description: The file is gone; its chunks follow when no read needs them. }
        "400": { $ref: "#/components/responses/BadRequest" }
        "401": { $ref: "#/components/responses/Unauthorized" }
        "404": { $ref: "#/components/responses/NotFound" }
        "409": { $ref: "#/components/responses/Incomplete" }
        "503": { $ref: "#/components/responses/Unavailable" }
  /files/{id}/metadata:
    parameters:
      - $ref: "#/components/parameters/FileID"
    get:
      tags: [files]
      operationId: fileMetadata
      summary: What is known of a file, and where its chunks are
      responses:
        "200":
          description: The file and its chunks.
          content:
            application/json:
              schema: { $ref: "#/components/schemas/FileMetadata" }
        "400": { $ref: "#/components/responses/BadRequest" }
        "401": { $ref: "#/components/responses/Unauthorized" }
        "404": { $ref: "#/components/responses/NotFound" }
        "503": { $ref: "#/components/responses/Unavailable" }
  /health:
    get:
      tags: [service]
      operationId: health
      summary: Whether the process serves
      security: []
      responses:
        "200":
          description: It serves.
          content:
            application/json:
              schema: { $ref: "#/components/schemas/Health" }
        "503":
          description: It starts, shuts down, or cannot serve.
          content:
            application/json:
              schema: { $ref: "#/components/schemas/Health" }
  /openapi.yaml:
    get:
      tags: [service]
      operationId: openapi
      summary: This document
      security: []
      responses:
        "200":
          description: The document.
          content:
            application/yaml: {}
components:
  securitySchemes:
    bearerKey:
      type: http
      scheme: bearer
      description: The access key, a colon, and the secret key.
    basicKey:
      type: http
      scheme: basic
      description: The access key as the user, the secret key as the password.
  parameters:
    FileID:
      name: id
      in: path
      required: true
      schema: { type: string, pattern: "^[0-9a-fA-F]{32}$" }
  responses:
    BadRequest:
      description: The request breaks a rule; `details` says which.
      content:
        application/json:
          schema: { $ref: "#/components/schemas/Error" }
    Unauthorized:
      description: The key is missing, unknown, revoked or expired, or its user is disabled.
      headers:
        WWW-Authenticate: { schema: { type: string } }
      content:
        application/json:
          schema: { $ref: "#/components/schemas/Error" }
    NotFound:
      description: There is no such file, or it is another user's.
      content:
        application/json:
          schema: { $ref: "#/components/schemas/Error" }
    Incomplete:
      description: The upload is not complete.
      content:
        application/json:
          schema: { $ref: "#/components/schemas/Error" }
    TooLarge:
      description: The file is larger than the limit.
      content:
        application/json:
          schema: { $ref: "#/components/schemas/Error" }
    Unavailable:
      description: Too few stores or the metadata cannot be reached, or a disk is full.
      headers:
        Retry-After: { schema: { type: integer }, description: Seconds. }
      content:
        application/json:
          schema: { $ref: "#/components/schemas/Error" }
  schemas:
    Status:
      type: string
      enum: [pending, uploading, completed, failed]
    File:
      type: object
      required: [id, name, size, sha256, content_type, status, created_at, updated_at]
      properties:
        id: { type: string, pattern: "^[0-9a-f]{32}$" }
        name: { type: string }
        size: { type: integer, description: Bytes; 0 until the upload is complete. }
        sha256:
          type: [string, "null"]
          description: In hexadecimal digits; null until the upload is complete.
        content_type: { type: string }
        status: { $ref: "#/components/schemas/Status" }
        created_at: { type: string, format: date-time }
        updated_at: { type: string, format: date-time }
    FileList:
      type: object
      required: [files, page, per_page, total]
      properties:
        files:
          type: array
          items: { $ref: "#/components/schemas/File" }
        page: { type: integer }
        per_page: { type: integer }
        total: { type: integer, description: Files of all pages. }
    FileMetadata:
      allOf:
        - $ref: "#/components/schemas/File"
        - type: object
          required: [chunks]
          properties:
            chunks:
              type: array
              items: { $ref: "#/components/schemas/Chunk" }
    Chunk:
      type: object
      required: [index, extent, server, size, sha256, status]
      properties:
        index: { type: integer, description: "0 to 3 hold data, 4 and 5 parity." }
        extent: { type: integer, description: Which run of the file the chunk belongs to. }
        server: { type: string, description: The id of the store that keeps the chunk. }
        size:
          type: [integer, "null"]
          description: Bytes as stored; null when no store could tell.
        sha256: { type: string }
        status:
          type: string
          enum: [present, missing, corrupt, unavailable]
    Health:
      type: object
      required: [status, version]
      properties:
        status: { type: string, enum: [ok, starting, draining, unavailable] }
        version: { type: string }
        details: { type: string }
    Error:
      type: object
      required: [error, details, request_id]
      properties:
        error: { type: string, description: A fixed word for programs. }
        details: { type: string, description: A sentence for people. }
        request_id: { type: string }

"""##
}
