/**
 * What databases say about their columns, and the values in them.
 *
 * <p>{@link jrunner.types.ColumnInfo} describes the columns of a query or table in the terms of
 * {@link jrunner.types.Family}; {@link jrunner.types.CellReader} reads a column of a JDBC result into
 * {@link jrunner.types.Cells}, the columns of a block of rows; {@link jrunner.types.Convert} turns a cell into what a
 * destination wants, exactly or not at all. Nothing here knows how rows travel: that is {@code jrunner.transfer}.
 */
package jrunner.types;
