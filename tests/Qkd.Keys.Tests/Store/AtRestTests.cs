using System.Runtime.Versioning;
using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys.Storage;
using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Store;

/// <summary>What lies on the disk, looked at byte for byte while the store has it open.</summary>
public sealed class AtRestTests
{
    /// <summary>The search itself works: what is written in the clear is found.</summary>
    [Fact]
    public void The_search_finds_what_is_there()
    {
        using var files = new TempFolder();
        Directory.CreateDirectory(files["a"]);
        var text = RandomNumberGenerator.GetBytes(4096);
        File.WriteAllBytes(Path.Combine(files["a"], "x"), text);
        files.Holds(files["a"], text.AsSpan(100, 16)).ShouldBeTrue();
    }

    [Fact]
    public async Task Key_lies_in_no_file_in_the_clear_before_during_or_after_its_delivery()
    {
        using var pair = new Pair();
        var block = await pair.MakeSettledAsync(1);
        ShouldNotBeInTheClear();
        var keys = await pair.Bob.DrawAsync(8);
        ShouldNotBeInTheClear();
        await pair.Alice.FetchAsync([.. keys.Select(key => key.Id)]);
        await pair.Alice.DrawAsync(8);
        await pair.SettleAsync();
        ShouldNotBeInTheClear();
        pair.Alice.Restart();
        pair.Bob.Restart();
        ShouldNotBeInTheClear();

        void ShouldNotBeInTheClear()
        {
            foreach (var side in (Side[])[pair.Alice, pair.Bob])
            {
                for (var at = 0; at < block.Length; at += 16)
                {
                    if (at % 128 == 0)
                    {
                        pair.Files.Holds(side.StoreFolder, block.AsSpan(at, 16)).ShouldBeFalse();
                    }
                }
            }
        }
    }

    [Fact]
    public async Task When_a_block_is_used_up_its_data_key_and_its_sealed_bytes_are_overwritten()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var slots = Slots(pair, "before");
        slots.Length.ShouldBe(DataKeyFile.SlotLength);
        var wrapped = slots[12..];
        var box = SealedBox(pair, "before");

        // Now the half of each side, and the fetching of it.
        var alice = await pair.Alice.DrawAsync(8);
        var bob = await pair.Bob.DrawAsync(8);
        await pair.Bob.FetchAsync([.. alice.Select(key => key.Id)]);
        await pair.Alice.FetchAsync([.. bob.Select(key => key.Id)]);
        await pair.SettleAsync();
        pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Delivered);

        Slots(pair, "after").ShouldAllBe(b => b == 0);
        pair.Files.Holds(pair.Alice.Folder, wrapped.AsSpan(0, 16)).ShouldBeFalse();

        // The log may still have the sealed bytes: without the data key they say nothing. Once the log is written back they are gone too.
        pair.Alice.Restart();
        pair.Alice.Dispose();
        File.Exists(Path.Combine(pair.Alice.StoreFolder, KeyStore.DatabaseName + "-wal")).ShouldBeFalse();
        File.ReadAllBytes(Path.Combine(pair.Alice.StoreFolder, KeyStore.DatabaseName)).AsSpan().IndexOf(box.AsSpan(0, 16)).ShouldBe(-1);
        pair.Alice.Restart();
    }

    /// <summary>Its data key, or the sealed bytes, or the file of data keys is not what was written.</summary>
    [Theory]
    [InlineData("data key")]
    [InlineData("file")]
    [InlineData("box")]
    public async Task A_spoiled_block_is_noticed_and_does_not_keep_the_next_from_being_delivered(string spoiled)
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(2);
        pair.Alice.Dispose();
        var slots = Path.Combine(pair.Alice.StoreFolder, KeyStore.DataKeysName);
        switch (spoiled)
        {
            case "data key":
                var bytes = File.ReadAllBytes(slots);
                bytes[^1] ^= 1;
                File.WriteAllBytes(slots, bytes);
                break;
            case "file":
                File.Delete(slots);
                break;
            default:
                using (var database = new Database(Path.Combine(pair.Alice.StoreFolder, KeyStore.DatabaseName), ""))
                {
                    database.Execute("UPDATE sealed SET box = zeroblob(length(box))");
                }

                break;
        }

        pair.Alice.Restart();
        await pair.MakeSettledAsync(3);
        await Should.ThrowAsync<KeyStoreDamagedException>(async () => await pair.Alice.DrawAsync());
        var key = (await pair.Alice.DrawAsync()).Single();
        (await pair.Bob.FetchAsync([key.Id])).Single().Bytes.ShouldBe(key.Bytes);
        await pair.SettleAsync();
        pair.StatesOf(2L).ShouldBe((BlockState.Voided, BlockState.Voided));
    }

    [Fact]
    public void Another_master_key_is_refused_clearly_and_changes_nothing()
    {
        using var pair = new Pair();
        pair.Make(1);
        pair.Alice.Store.Dispose();
        MasterKey.CreateFile(pair.Files["other.key"]);
        using (var other = MasterKey.FromFile(pair.Files["other.key"]))
        {
            Should.Throw<MasterKeyException>(() => KeyStore.Open(pair.Alice.StoreFolder, LinkEnd.Alice, other)).Message.ShouldContain("another master key");
        }

        pair.Alice.Restart();
        pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Reserved);
    }

    [Fact]
    public void The_other_ends_store_is_refused()
    {
        using var pair = new Pair();
        pair.Alice.Store.Dispose();
        using var master = MasterKey.FromFile(Path.Combine(pair.Alice.Folder, "master.key"));
        Should.Throw<KeyStoreException>(() => KeyStore.Open(pair.Alice.StoreFolder, LinkEnd.Bob, master)).Message.ShouldContain("other end");
    }

    [Fact]
    public void A_store_that_is_open_is_not_opened_a_second_time()
    {
        using var pair = new Pair();
        using var master = MasterKey.FromFile(Path.Combine(pair.Alice.Folder, "master.key"));
        Should.Throw<KeyStoreException>(() => KeyStore.Open(pair.Alice.StoreFolder, LinkEnd.Alice, master));
        pair.Make(1);
        pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Reserved);
    }

    [Fact]
    public void A_database_that_is_none_is_refused_as_damaged()
    {
        using var pair = new Pair();
        pair.Alice.Dispose();
        File.WriteAllBytes(Path.Combine(pair.Alice.StoreFolder, KeyStore.DatabaseName), RandomNumberGenerator.GetBytes(8192));
        using var master = MasterKey.FromFile(Path.Combine(pair.Alice.Folder, "master.key"));
        Should.Throw<KeyStoreDamagedException>(() => KeyStore.Open(pair.Alice.StoreFolder, LinkEnd.Alice, master));
        File.Delete(Path.Combine(pair.Alice.StoreFolder, KeyStore.DatabaseName));
        pair.Alice.Restart();
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public async Task Every_file_and_folder_is_its_owners_alone()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "No modes there.");
        using var pair = new Pair();
        await pair.MakeSettledAsync(1, authentication: RandomNumberGenerator.GetBytes(128));
        foreach (var file in Directory.EnumerateFiles(pair.Alice.Folder, "*", SearchOption.AllDirectories))
        {
            File.GetUnixFileMode(file).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite, file);
        }

        foreach (var folder in Directory.EnumerateDirectories(pair.Alice.Folder, "*", SearchOption.AllDirectories))
        {
            File.GetUnixFileMode(folder).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, folder);
        }
    }

    [Theory]
    [InlineData("store/keys.db")]
    [InlineData("store/keys.slots")]
    [InlineData("master.key")]
    [InlineData("preshared.key")]
    [UnsupportedOSPlatform("windows")]
    public void A_file_that_others_may_read_is_refused(string name)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "No modes there.");
        using var pair = new Pair();
        pair.Alice.Dispose();
        var path = Path.Combine(pair.Alice.Folder, name);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        Should.Throw<KeyStoreException>(pair.Alice.Restart).Message.ShouldContain("0600");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        pair.Alice.Restart();
    }

    private static byte[] Slots(Pair pair, string name)
    {
        TempFolder.CopyAsTheyAre(pair.Alice.StoreFolder, pair.Files[name]);
        return File.ReadAllBytes(Path.Combine(pair.Files[name], KeyStore.DataKeysName));
    }

    /// <summary>The sealed bytes of the one block there is, from a copy of the database.</summary>
    private static byte[] SealedBox(Pair pair, string name)
    {
        using var database = new Database(Path.Combine(pair.Files[name], KeyStore.DatabaseName), "");
        return database.Query("SELECT box FROM sealed", row => (byte[])row.GetValue(0)).Single();
    }
}
