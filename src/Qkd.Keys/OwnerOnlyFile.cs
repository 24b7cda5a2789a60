namespace Qkd.Keys;

/// <summary>
/// Files that nobody but their owner may read. On Unix that is mode 0600, set when the file is made and checked when it is read; on
/// Windows the folder's access list counts, and the profile folder of a service account is closed to others by default.
/// </summary>
internal static class OwnerOnlyFile
{
    private const UnixFileMode OwnerReadWrite = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private const UnixFileMode Others =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    /// <summary>Makes a file that must not exist yet, and makes it durable.</summary>
    public static void Create(string path, ReadOnlySpan<byte> content)
    {
        using var stream = new FileStream(path, Options(FileMode.CreateNew));
        stream.Write(content);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Makes a file under another name first, so that it is there whole or not at all.</summary>
    public static void CreateWhole(string path, ReadOnlySpan<byte> content)
    {
        var temporary = path + ".new";
        File.Delete(temporary);
        Create(temporary, content);
        File.Move(temporary, path, overwrite: false);
    }

    /// <summary>Makes a file that must not exist yet and stays open for writing. Others may read what they may, while it grows.</summary>
    public static FileStream CreateStream(string path)
    {
        var options = Options(FileMode.CreateNew);
        options.Share = FileShare.Read;

        // Whoever writes it writes large pieces, and wants them to be in the file.
        options.BufferSize = 0;
        return new FileStream(path, options);
    }

    /// <summary>Makes an empty file if there is none.</summary>
    public static void Ensure(string path)
    {
        using var stream = new FileStream(path, Options(FileMode.OpenOrCreate));
    }

    /// <summary>Makes a folder that only its owner may enter.</summary>
    public static void EnsureFolder(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, OwnerReadWrite | UnixFileMode.UserExecute);
        }
    }

    /// <summary>Whether someone else may read or write the file. Always false on Windows, where no mode tells.</summary>
    public static bool IsOpenToOthers(string path) =>
        !OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & Others) != 0;

    private static FileStreamOptions Options(FileMode mode)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = OwnerReadWrite;
        }

        return options;
    }
}
