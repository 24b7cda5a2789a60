using Microsoft.Data.Sqlite;

namespace Qkd.Keys.Storage;

/// <summary>
/// One SQLite database: prepared statements by their text, transactions, and errors of the store's own family. Not thread-safe; the store's
/// lock stands before it.
/// </summary>
internal sealed class Database : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly Dictionary<string, SqliteCommand> _statements = [];
    private readonly string _path;

    public Database(string path, string schema)
    {
        _path = path;
        OwnerOnlyFile.Ensure(path);
        if (OwnerOnlyFile.IsOpenToOthers(path))
        {
            throw new KeyStoreException($"The key store {path} can be read or written by others than its owner; set its mode to 0600.");
        }

        _connection = new(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 5 }.ToString());
        try
        {
            _connection.Open();

            // Exclusive: two processes on one store would each deliver its key. Overwrite what is deleted. A commit is durable when it returns.
            foreach (var pragma in (string[])["locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "temp_store=MEMORY"])
            {
                using var command = _connection.CreateCommand();
#pragma warning disable CA2100 // The text is from the list above.
                command.CommandText = $"PRAGMA {pragma};";
#pragma warning restore CA2100
                command.ExecuteNonQuery();
            }

            using var create = _connection.CreateCommand();
#pragma warning disable CA2100 // The schema is a constant of the store.
            create.CommandText = schema;
#pragma warning restore CA2100
            create.ExecuteNonQuery();
        }
        catch (SqliteException e)
        {
            _connection.Dispose();
            throw Translate(e);
        }
    }

    /// <summary>Runs a statement; the arguments are $1, $2 and so on. Returns the number of rows changed.</summary>
    public int Execute(string sql, params ReadOnlySpan<object?> arguments)
    {
        try
        {
            return Prepare(sql, arguments).ExecuteNonQuery();
        }
        catch (SqliteException e)
        {
            throw Translate(e);
        }
    }

    /// <summary>Runs a query and maps its rows.</summary>
    public List<T> Query<T>(string sql, Func<SqliteDataReader, T> map, params ReadOnlySpan<object?> arguments)
    {
        try
        {
            var rows = new List<T>();
            using var reader = Prepare(sql, arguments).ExecuteReader();
            while (reader.Read())
            {
                rows.Add(map(reader));
            }

            return rows;
        }
        catch (SqliteException e)
        {
            throw Translate(e);
        }
    }

    /// <summary>Runs a query for one number; 0 if it gives none.</summary>
    public long Number(string sql, params ReadOnlySpan<object?> arguments)
    {
        try
        {
            return Prepare(sql, arguments).ExecuteScalar() is long number ? number : 0;
        }
        catch (SqliteException e)
        {
            throw Translate(e);
        }
    }

    /// <summary>Runs work that is durable as a whole when this returns, or has not happened.</summary>
    public T Transact<T>(Func<T> work)
    {
        Execute("BEGIN IMMEDIATE");
        try
        {
            var result = work();
            Execute("COMMIT");
            return result;
        }
        catch
        {
            RollBack();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (var statement in _statements.Values)
        {
            statement.Dispose();
        }

        _connection.Dispose();
    }

    private void RollBack()
    {
        try
        {
            Execute("ROLLBACK");
        }
        catch (KeyStoreException)
        {
            // SQLite has rolled back by itself (disk full, I/O error); the first error is the one to report.
        }
    }

    private SqliteCommand Prepare(string sql, ReadOnlySpan<object?> arguments)
    {
        if (!_statements.TryGetValue(sql, out var command))
        {
            command = _connection.CreateCommand();
#pragma warning disable CA2100 // Every text is a constant of the store; values are parameters.
            command.CommandText = sql;
#pragma warning restore CA2100
            for (var i = 0; i < arguments.Length; i++)
            {
                command.Parameters.Add(new SqliteParameter { ParameterName = $"${i + 1}" });
            }

            _statements[sql] = command;
        }

        for (var i = 0; i < arguments.Length; i++)
        {
            command.Parameters[i].Value = arguments[i] switch
            {
                null => DBNull.Value,
                Enum value => Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture),
                Guid id => id.ToByteArray(bigEndian: true),
                var value => value,
            };
        }

        return command;
    }

    private KeyStoreException Translate(SqliteException e) => e.SqliteErrorCode switch
    {
        5 or 6 => new KeyStoreException($"The key store {_path} is in use by another process.", e),
        11 or 26 => new KeyStoreDamagedException($"The key store {_path} is damaged: {e.Message}", e),
        _ => new KeyStoreException($"The key store {_path} failed: {e.Message}", e),
    };
}
